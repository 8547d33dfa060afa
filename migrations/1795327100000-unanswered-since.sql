-- Why: a provider may let a refresh token be sent again for a while after its first use, and no longer. So the row says since when
-- one is out of which nobody knows whether it was spent. Null: nothing is out. The release before neither reads nor writes it;
-- a process of it that was killed counts as one that sent something long ago.
alter table connections add column unanswered_since timestamptz;
