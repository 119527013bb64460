-- documented.add_constraint
ALTER TABLE :table ADD CONSTRAINT :name :definition NOT VALID
