"""The docks: Qt and magicgui, no torch and no array maths."""
