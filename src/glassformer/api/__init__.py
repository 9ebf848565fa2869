"""What `import glassformer as gf` offers, and what the commands share with it: thin functions over the layers above."""
