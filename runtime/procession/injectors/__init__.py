"""Ready-made injectors: a followed file, a schedule, CloudEvents from wherever they come."""
