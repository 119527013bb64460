-- documented.drop_constraint
ALTER TABLE :table DROP CONSTRAINT :name
