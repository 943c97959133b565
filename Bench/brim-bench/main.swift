print("brim-bench")
