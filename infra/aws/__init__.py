"""The stack in AWS: templates, change sets, the image of the jobs, approvals."""
