"""What a host backs up besides its folders: what commands print, volumes, folders on other machines; and
snapshots, for folders to be read from.

A source that fails costs nothing else, and is never taken for a good one: it is named at the end of the
run and in the receipt, and a file with the reason lies beside it in the set.
"""
