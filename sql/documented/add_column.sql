-- documented.add_column
ALTER TABLE :table ADD COLUMN :name :definition
