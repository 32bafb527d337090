"""Reading exports of any layout."""
