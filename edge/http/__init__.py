"""HTTP semantics: headers, ranges, conditional requests, content negotiation."""
