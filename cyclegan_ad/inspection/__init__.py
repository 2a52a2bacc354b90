"""The inspector: a page in the browser on which people look at the decisions of a detector."""
