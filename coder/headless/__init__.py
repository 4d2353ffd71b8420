"""The face without a person: policy in place of questions, one result, an exit code. For CI and scripts."""
