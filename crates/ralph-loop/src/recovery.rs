//! What a killed loop left behind is found, ended, kept and taken up again.
