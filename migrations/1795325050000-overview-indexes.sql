-- Why: which secrets that a person made are to be replaced soon? Asked whenever somebody looks at the overview. In a step of
-- its own: readers go on while the index is made, and writers wait for no more than this.
create index connections_by_rotation on connections (rotate_by) where rotate_by is not null and status <> 'revoked';
