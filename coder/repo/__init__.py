"""The code on disk: git behind one door, snapshots and drafts as trees, patches, applying, undo, trust."""
