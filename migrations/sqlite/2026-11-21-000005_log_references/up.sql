-- Nothing to do: a reference costs little within the file.
SELECT 1;
