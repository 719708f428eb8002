"""Reports as files: one page of HTML that asks no network, and the same tables in Markdown."""
