"""Arrays that know nothing of attention: ragged columns, string columns, index sets, bits."""
