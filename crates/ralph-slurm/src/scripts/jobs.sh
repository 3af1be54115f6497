# All jobs of this user that the queue knows.
part queue within 30 squeue --me -h -t all -o "%i$us%A$us%T$us%r$us%V$us%S$us%e$us%N$us%j"
part owners within 30 squeue --me -h -t all -o "%i$us%k$us%o"
finish 0
