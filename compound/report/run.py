def write_run_report(path):
    return path / "report.html"
