// main: placeholder for the bundled load generator.
print("brim-bench")
