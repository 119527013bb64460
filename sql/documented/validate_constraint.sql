-- documented.validate_constraint
ALTER TABLE :table VALIDATE CONSTRAINT :name
