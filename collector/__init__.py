"""The owner service: the API over the one warehouse, the importer of host exports, the watchdog."""
