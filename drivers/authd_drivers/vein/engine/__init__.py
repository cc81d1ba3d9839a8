"""The vein engine, a step a module: region, edges, unwrap, ridges, template, compare; face.py is its public face."""
