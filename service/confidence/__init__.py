"""How sure a vote is: named raw signals, and the certificate that an answer is the model's most frequent one.

What the certificate says. Draw completions independently from one distribution (one model, prompt and settings), give
each the label of its answer by a rule that is fixed before any is drawn, and look at them in the order of launch. Then
with probability at least 1 - alpha, over the drawing and whatever rule ends it, no answer is certified at alpha that is
less frequent than another. Nothing is said about whether an answer is right: a model can be mistaken most of the time.

Why it holds. For each label m let H_m be "no label is more frequent than m". A gambler who believes H_m false stakes on
"the next completion's answer is c and not m", where c is the rival of m that is ahead so far: the stake grows by 2q if
it is c, shrinks by 2(1 - q) if it is m, and keeps otherwise, with q in [1/2, 1) chosen beforehand from the past alone.
Under H_m the mean of the factor is 1 + (2q - 1)(p_c - p_m) <= 1, so the wealth is a non-negative supermartingale that
starts at 1, and by Ville's inequality it ever reaches 1/alpha with probability at most alpha. An answer is certified
when the wealth against every other label has reached 1/alpha at some time. For that to be an error, the wealth against
a label that *is* most frequent must have: one event, of one label that the data do not choose, so the number of labels
costs nothing, and neither does choosing the answer by the data. What of it needs care:

- Labels not seen yet: until m is first seen its count is 0 and its rival is the leader, so all unseen labels have the
  same wealth. It is kept once, and a label that is seen for the first time goes on from it, its own loss included. So
  its largest wealth so far goes on too: an answer that was never seen before can take no certificate back.
- Ties: rival and stake depend on the past alone, equal counts go to the label that was seen first. With two labels
  equally frequent "no other answer is more frequent" holds for both, and one is certified over the other with
  probability at most alpha each.
- The running maximum: Ville bounds the largest wealth over all times. So p never rises, and any moment to stop will do,
  also one that knows the future: whatever cuts the contiguous prefix (a deadline, a failed sample, a stopping rule),
  its wealth was that of the whole sequence at that time. Only what is left out *within* the prefix would be chosen,
  which is why samples count in the order of launch and never as they finish.
- Completions without an answer (empty, truncated, none found) are so by a fixed rule too. They change no wealth, and
  the statement is about completions that hold an answer. A sample that failed to come ends the prefix.
- Where answers are merged afterwards (Math-Verify, tolerances, overlaps, meanings), labels are no fixed function of the
  text, and H_m says nothing of a class that is put together later. There another test stands, on the finest labels:
  H_0 is "no label has more than half", H_b "b has more than half". At most one of them is true, so again one event is
  the error, and a label with more than half leads in whatever way the others are merged.
- Votes that weigh: where the vote v_t of a completion, in [0, 1] for its own label and 0 for all others, depends on
  that completion alone, the same holds of the label with the largest mean vote, at which that weighted vote arrives.
  The factor is 1 + l (v_t(c) - v_t(m)), of mean at most 1 for any stake l in [0, 1), and the wealth is the mean over
  fifteen stakes that are fixed beforehand. Weights in which other completions have a part (ranks, a softmax, filters,
  judges that see several) are no draws, and a vote without a bound has no stake that keeps the wealth from below 0.
- Where the completions decide the answer type (`auto`), p is multiplied by the number of types that it chooses among.
"""
