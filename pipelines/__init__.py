"""From raw logs to the knowledge graph and CTR examples, as Beam jobs."""

import logging

# Importing Beam warns about a Google client library that nothing here uses.
logging.getLogger().addFilter(lambda record: not record.getMessage().startswith("apitools not found"))
