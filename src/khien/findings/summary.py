"""STUB"""
class HuntSummary:
    @classmethod
    def of(cls, tally, rules):
        s=cls(); s.t=tally; return s
    def print(self, console):
        t=self.t; console.print(f"{t.files} files {t.events} events {t.findings} findings {t.seconds:.2f}s {t.events/max(t.seconds,1e-6):.0f}/s {len(t.problems)} problems")
        for p in t.problems[:20]: console.print(str(p))
