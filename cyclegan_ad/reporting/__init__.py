"""The report: run directories in; a web page and tables in CSV, Markdown and LaTeX out."""
