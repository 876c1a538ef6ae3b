"""CloudFormation: templates, change sets and events, read and judged."""
