-- documented.attach_index
ALTER TABLE :table ADD CONSTRAINT :name :kind USING INDEX :name
