"""Parsing of logs in chunks: cutting of files, typed decoding, Arrow columns. Pure functions, no Beam."""
