"""What the pages share: links, reads, texts, formats, charts, tables, the viewer."""
