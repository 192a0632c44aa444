import typer
app=typer.Typer()
@app.command()
def check(): pass
@app.command()
def list(): pass
