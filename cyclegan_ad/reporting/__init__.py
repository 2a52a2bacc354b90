"""Create a report from run directories: a web page and tables in CSV, Markdown and LaTeX."""
