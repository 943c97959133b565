print("brim")
