"""What is read of an account, by topic; loaders return `Fact`s and judge nothing."""
