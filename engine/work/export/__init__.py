"""What is made of a trained lora for programs that cannot load one."""
