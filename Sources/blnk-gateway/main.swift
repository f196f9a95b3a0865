print("blnk-gateway")
