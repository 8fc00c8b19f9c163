"""What a stack in AWS consists of: CloudFormation templates made by Python, roles generated from what jobs do, up and down."""
