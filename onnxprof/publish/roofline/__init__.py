"""Why a run takes its time, on a model's page: roofline, columns of reasons, advice."""
