"""PAM: the C module, and `pam_exec`'s helper where there is no compiler."""
