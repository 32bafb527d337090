"""Objects to text; no arithmetic beyond rounding."""
