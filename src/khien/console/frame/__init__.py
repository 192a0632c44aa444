"""The frame around all pages: navigation, template tags, states."""
