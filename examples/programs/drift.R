# An allele under selection and drift: in each generation, n copies are drawn anew (Wright and Fisher).
#
#   Rscript examples/programs/drift.R 100 0.05 0.2 7
#
# is told the number n, the advantage s, the share p at the start and a seed, and writes drift.csv: generation, share.
told <- commandArgs(trailingOnly = TRUE)
n <- as.integer(told[1])
s <- as.numeric(told[2])
p <- as.numeric(told[3])
# A seed has up to 20 digits, and R takes nine for sure.
set.seed(as.integer(substring(told[4], max(1, nchar(told[4]) - 8))))

generations <- 50
share <- numeric(generations + 1)
share[1] <- p
for (k in seq_len(generations)) {
  favoured <- share[k] * (1 + s) / (1 + share[k] * s)
  share[k + 1] <- rbinom(1, n, favoured) / n
}
table <- data.frame(generation = 0:generations, share = share)
write.csv(format(table, digits = 17, trim = TRUE), "drift.csv", row.names = FALSE, quote = FALSE)
