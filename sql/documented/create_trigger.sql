-- documented.create_trigger
CREATE TRIGGER :name :definition
