"""Views of results: page, contact sheet, alignment matrix, heat map, line chart."""
