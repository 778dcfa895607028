"""What can be read of a damaged RDB: `salvager.Salvager` finds it, `salvaged.Salvaged` gives it as an RDB."""
