"""The page of monitoring: state, reasons, proposal, columns over time."""
