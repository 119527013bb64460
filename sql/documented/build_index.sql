-- documented.build_index
CREATE :kind CONCURRENTLY :name ON :table USING :method
