"""Networks of others: names, weights, features, feature cache."""
