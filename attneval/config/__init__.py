"""Every choice: the protocol, threshold rules, presets, options, the settings file, breakdowns."""
