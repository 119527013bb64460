-- documented.set_comment
COMMENT ON :object IS :text
